/** What went wrong, as a code that the page turns into a sentence of the reader's language. */
export class Fault extends Error {
  constructor(code, values = {}) {
    super(code);
    this.name = "Fault";
    this.code = code;
    this.values = values;
  }
}
