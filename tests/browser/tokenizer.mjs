// Answers for tests/browser/test_tokenizers.py: one JSON of jobs in, one JSON of what the page makes of them out.

import { readFileSync } from "node:fs";

const { runtime, codes, jobs } = JSON.parse(readFileSync(0, "utf-8"));
const { PageTokenizer } = await import(`${runtime}/tokenizer.js`);
const { changed, prepared } = await import(`${runtime}/normal_form.js`);
const { Fault } = await import(`${runtime}/fault.js`);

function outcome(work) {
  try {
    return work();
  } catch (error) {
    return { error: error instanceof Fault ? `fault ${error.code}` : String(error) };
  }
}

const WORK = {
  /** Ids, tokens and decoded text of each text, and the texts of some ids. */
  cut: ({ data, texts, rows }) => {
    const tokenizer = new PageTokenizer(data);
    const texted = texts.map((text) =>
      outcome(() => {
        const ids = tokenizer.encode(text);
        return [ids, tokenizer.tokens(Int32Array.from(ids)), tokenizer.decode(ids)];
      }),
    );
    // The engine hands ids over as numbers of 32 bits.
    const decoded = (ids) => outcome(() => tokenizer.decode(Int32Array.from(ids)));
    return { size: tokenizer.size, texts: texted, rows: rows.map(decoded) };
  },
  /** Those of the code points that a pattern finds. */
  found: ({ pattern, codes }) => {
    const expression = new RegExp(pattern, "v");
    return codes.filter((code) => expression.test(String.fromCodePoint(code)));
  },
  /** Texts in which what a pattern finds is replaced. */
  replaced: ({ pattern, texts }) => {
    const step = prepared({ kind: "replace", pattern, by: "$&|" });
    return texts.map((text) => changed(text, [step]));
  },
  /** Each of the code points' characters that changes in some steps, with what it becomes there between two others. */
  changed: ({ steps, codes, before, after }) => {
    const ready = steps.map(prepared);
    const all = codes.map((code) => [code, before + String.fromCodePoint(code) + after]);
    return all.map(([code, text]) => [code, changed(text, ready), text]).filter(([, made, text]) => made !== text);
  },
};

process.stdout.write(JSON.stringify(jobs.map((job) => WORK[job.kind]({ ...job, codes }))));
