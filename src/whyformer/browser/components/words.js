/** All words of the page; what stands in braces is filled in. */

const ENGLISH = {
  title: "Type a sentence, look inside the model",
  facts: "{parameters} parameters · {layers} layers · computed in this page, by your own device; no text leaves it",
  parts: "Parts of this page",
  light: "Light", dark: "Dark", made: "Made by",
  tryIt: "Try it", tryItAbout: "A trained translator runs in this page; it has {size} MB and stays on your device.",
  loading: "Loading the model …",

  source: "Source", translation: "Translation", placeholder: "Type a sentence", examples: "Examples:",
  stop: "Stop", takesLong: "Translating …", time: "{time} ms",
  hypotheses: "What else the search found, with scores", cutOff: "cut off at the limit of length",
  nothing: "(nothing)",
  broken: "Broken on purpose.", mend: "Make it whole", headsOff: "heads off: {count}", sees: "{place} sees {mask}", and: "; ",

  steps: "Step by step", sourceTokens: "Tokens of the source", targetTokens: "Tokens of the translation",
  back: "◀ Back", forward: "Forward ▶", overview: "Overview", stepOf: "step {step} of {all}", allSteps: "{all} steps",
  shown_output: "These are the tokens of hypothesis {rank}.", shown_node: "These are the tokens of a beginning that the search considered.",
  shown_own: "These are the tokens of your own translation.", backToBest: "Back to the best translation",
  guide: "Point at a token, or go forward step by step: what it looked at is coloured here and framed in every head.",
  toldStep: "Step {step} of {all}: fed {fed}, it wrote {written} ({percent}). In the source it looked most at {most}.",
  toldStepBlind: "Step {step} of {all}: fed {fed}, it wrote {written} ({percent}). It saw nothing of the source.",
  toldSource: "{token} was looked at most in writing {most}.", toldSourceNobody: "{token} was looked at by no step.",
  likely: "What was likely here", leastSure: "Where it was least sure: step {step}, {written}", isWritten: "(written)", rather: "rather ",
  shadingTarget: "Colours: cross-attention of {cross} on the source, self-attention of {decoder_self} on what was written. Open other heads to change them.",
  shadingSource: "Colours: self-attention of {encoder_self} on the source; below, whose cross-attention of {cross} came here. Open other heads to change them.",

  heads: "Every head", headsAbout: "Rows attend to columns: fed → written. Choose a head to enlarge it.",
  "place_cross": "Cross-attention", "place_decoder self": "Decoder self-attention", "place_encoder self": "Encoder self-attention",
  layerShort: "L{layer}", layerHead: "layer {layer} · head {head}", layerMean: "layer {layer} · mean of all heads", isOff: ", off",

  map: "attention map", attention: "Attention", layer: "Layer", head: "Head", mean: "mean of all heads", weight: "weight",
  switchOff: "Switch this head off", switchOn: "Switch this head on",
  axes: "Rows: query, the token that attends. Columns: key, the token attended to.",
  axesWriting: "Rows: query, the token fed → the token then written. Columns: key, the token attended to.",
  described: "{place}, {head}: {rows} rows, {columns} columns. Arrow keys move from cell to cell.",
  mapGuide: "Point at a cell, tap it, or move with the arrow keys.",
  cell: "{query} attends to {key}: {weight}. Most of all to {most}.", silent: "{query} attends to nothing.",
  table: "These weights as a table",

  search: "The search", greedy: "Greedy", beam: "Beam", beamSize: "Beam size",
  greedyAbout: "Always the likeliest token, one path: {steps} steps.",
  beamAbout: "At each step the {size} likeliest beginnings live on; {considered} were considered in {steps} steps. The best at the top.",
  fate_best: "best translation", fate_living: "lived on", fate_ended: "ended here", fate_dropped: "dropped",
  told_living: "It lives on", told_ended: "It ends here", told_dropped: "It is dropped", endedAs: "It is hypothesis {rank}",
  treeLabel: "Tree of the search", treeGuide: "Press a token to look inside the translation up to there; arrow keys walk through the tree.",
  nodeTold: "Step {step}, rank {rank} of {of}: {token} ({percent}) after {before}. ln P together {total}. {fate}.",
  theStart: "the start", showDropped: "show what was dropped", treeTable: "The tree as a table",
  column_step: "step", column_beginning: "beginning", column_token: "token", column_probability: "probability",
  column_together: "ln P together", column_fate: "what became of it", lookInside: "Look inside up to {token}",

  breakIt: "Break it", breakAbout: "Switch heads off, or let tokens see less than in training, and see what the translation becomes.",
  presets: "Ways to break it", nothingBroken: "Nothing is broken yet: choose a way above, a mask or a head below.",
  preset_last: "No cross-attention in the last layer", preset_blind: "No cross-attention at all",
  preset_diagonal: "Cross-attention on the diagonal only",
  preset_alone: "Encoder sees only itself", preset_forgetful: "Decoder forgets what it wrote",
  "sees_cross": "A token being written sees of the source", "sees_decoder self": "A token being written sees of what is written",
  "sees_encoder self": "A token of the source sees of the source",
  "mask_cross_everything": "everything", "mask_cross_diagonal": "the diagonal and its neighbours", "mask_cross_same": "the diagonal",
  "mask_decoder self_before": "all before", "mask_decoder self_two": "the last two", "mask_decoder self_itself": "only the last",
  "mask_encoder self_everything": "everything", "mask_encoder self_causal": "what is before", "mask_encoder self_neighbours": "neighbours",
  "mask_encoder self_itself": "only itself",
  switches: "Heads", switchLayer: "All heads of layer {layer}",
  compare: "The whole and the broken model compared", theWhole: "The whole model", theBroken: "Broken",
  unchanged: "The same translation: ln P was {before} and is {after} now.",
  changed: "{kept} of {all} tokens stayed. The translation of the whole model had ln P {before}; the broken one gives it {after}.",

  own: "Your own translation", ownAbout: "The model reads your translation as if it had written it (teacher forcing).",
  ownName: "Translation to be judged", ownTokens: "Tokens of your translation", takeModels: "Begin with the model’s",
  lookInsideOwn: "Look inside with this one", ownEqual: "ln P {own}: this is the model’s own.",
  ownLess: "ln P {own}; the model’s own has {best} and is {times} times as likely.",
  ownLikelier: "ln P {own}: {times} times as likely as the one that the search found, with {best}.",

  fault_stopped: "Stopped. Change the text to translate again.",
  fault_damaged: "The model’s file is damaged; make the page again with whyformer page.",
  fault_not_wasm: "This browser cannot run WebAssembly, which the model needs; use a newer one, or allow it.",
  fault_no_worker: "This browser does not let the page compute in the background (workers); use a newer one, or serve the page over HTTP.",
  fault_overlong: "The text has {tokens} tokens, but the model takes {most} at most; shorten it.",
  fault_surrogate: "The text has half of a character that takes two, so it is no text; type that character again.",
  fault_not_finite: "The model’s numbers became infinite or undefined; mend what is broken, or take another text.",
  fault_memory: "There is not enough memory for this text; shorten it, or take a smaller beam.",
  fault_crashed: "The model stopped unexpectedly; change the text to start it again.",
  fault_not_loaded: "{file} could not be loaded; it must lie beside this page.",
};

const CHINESE = {
  title: "输入一句话，看看模型内部",
  facts: "{parameters} 个参数 · {layers} 层 · 就在本页、由你的设备计算，文本不会离开本机",
  parts: "本页内容",
  light: "浅色", dark: "深色", made: "生成本页的命令：",
  tryIt: "动手试试", tryItAbout: "训练好的翻译模型就在本页运行，共 {size} MB，文本不会离开本机。",
  loading: "正在载入模型……",

  source: "原文", translation: "译文", placeholder: "输入一句话", examples: "例句：",
  stop: "停止", takesLong: "正在翻译……", time: "{time} 毫秒",
  hypotheses: "搜索找到的其他候选及得分", cutOff: "达到长度上限，被截断",
  nothing: "（空）",
  broken: "模型已被故意弄坏。", mend: "恢复完整", headsOff: "关掉的头：{count} 个", sees: "{place}只看{mask}", and: "；",

  steps: "逐步查看", sourceTokens: "原文的词元", targetTokens: "译文的词元",
  back: "◀ 后退", forward: "前进 ▶", overview: "总览", stepOf: "第 {step} 步，共 {all} 步", allSteps: "共 {all} 步",
  shown_output: "这里显示的是第 {rank} 个候选的词元。", shown_node: "这里显示的是搜索中考虑过的一个开头的词元。",
  shown_own: "这里显示的是你自己的译文的词元。", backToBest: "回到最佳译文",
  guide: "指向一个词元，或一步步前进：它关注的词元在这里着色，在每个头里加框。",
  toldStep: "第 {step} 步，共 {all} 步：输入 {fed}，写出 {written}（{percent}）。在原文中最关注 {most}。",
  toldStepBlind: "第 {step} 步，共 {all} 步：输入 {fed}，写出 {written}（{percent}）。它完全看不到原文。",
  toldSource: "{token} 最受这些词元的关注：{most}。", toldSourceNobody: "没有哪一步关注 {token}。",
  likely: "这一步可能写出的词元", leastSure: "它最没把握的一步：第 {step} 步，{written}", isWritten: "（写出的）", rather: "更可能是 ",
  shadingTarget: "着色：原文按交叉注意力（{cross}），已写出的部分按自注意力（{decoder_self}）。打开别的头即可更换。",
  shadingSource: "着色：原文按自注意力（{encoder_self}），译文按它对该词元的交叉注意力（{cross}）。打开别的头即可更换。",

  heads: "全部注意力头", headsAbout: "行关注列：输入 → 写出。选一个头放大。",
  "place_cross": "交叉注意力", "place_decoder self": "解码器自注意力", "place_encoder self": "编码器自注意力",
  layerShort: "{layer} 层", layerHead: "第 {layer} 层 · 第 {head} 头", layerMean: "第 {layer} 层 · 所有头的平均", isOff: "，已关",

  map: "注意力图", attention: "注意力", layer: "层", head: "头", mean: "所有头的平均", weight: "权重",
  switchOff: "关掉这个头", switchOn: "打开这个头",
  axes: "行：查询，当前词元。列：键，被关注的词元。",
  axesWriting: "行：查询，输入的词元 → 随后写出的词元。列：键，被关注的词元。",
  described: "{place}，{head}：{rows} 行，{columns} 列。用方向键在格子间移动。",
  mapGuide: "指向或点按一个格子，或用方向键移动。",
  cell: "{query} 对 {key} 的注意力：{weight}。最受它关注的是 {most}。", silent: "{query} 没有关注任何词元。",
  table: "以表格显示这些权重",

  search: "搜索过程", greedy: "贪心搜索", beam: "束搜索", beamSize: "束宽",
  greedyAbout: "每步只取最可能的词元，只有一条路：共 {steps} 步。",
  beamAbout: "每步保留最可能的 {size} 个开头；{steps} 步共考虑了 {considered} 个。最好的在最上面。",
  fate_best: "最佳译文", fate_living: "保留", fate_ended: "在此结束", fate_dropped: "淘汰",
  told_living: "它被保留", told_ended: "它在此结束", told_dropped: "它被淘汰", endedAs: "它是第 {rank} 个候选",
  treeLabel: "搜索树", treeGuide: "点按一个词元，就能查看到此为止的译文；方向键可在树中移动。",
  nodeTold: "第 {step} 步，{of} 个中排第 {rank}：{token}（{percent}），接在 {before} 之后。合计 ln P {total}。{fate}。",
  theStart: "开头", showDropped: "显示被淘汰的", treeTable: "以表格显示搜索树",
  column_step: "步", column_beginning: "前文", column_token: "词元", column_probability: "概率",
  column_together: "合计 ln P", column_fate: "结果", lookInside: "查看到 {token} 为止",

  breakIt: "弄坏它", breakAbout: "关掉一些头，或者让词元看到的比训练时少，看看译文会变成什么样。",
  presets: "弄坏的方式", nothingBroken: "还没有弄坏：选上面的一种方式，或下面的掩码和头。",
  preset_last: "最后一层没有交叉注意力", preset_blind: "完全没有交叉注意力",
  preset_diagonal: "交叉注意力只看对角线附近",
  preset_alone: "编码器只看自己", preset_forgetful: "解码器忘掉已写的内容",
  "sees_cross": "写每个词元时能看到的原文", "sees_decoder self": "写每个词元时能看到的已写内容",
  "sees_encoder self": "原文的词元能看到的原文",
  "mask_cross_everything": "全部", "mask_cross_diagonal": "对角线及相邻位置", "mask_cross_same": "仅对角线",
  "mask_decoder self_before": "前面全部", "mask_decoder self_two": "最后两个", "mask_decoder self_itself": "仅最后一个",
  "mask_encoder self_everything": "全部", "mask_encoder self_causal": "前面的", "mask_encoder self_neighbours": "相邻的",
  "mask_encoder self_itself": "只有自己",
  switches: "注意力头", switchLayer: "第 {layer} 层的所有头",
  compare: "完整模型与弄坏的模型对照", theWhole: "完整的模型", theBroken: "弄坏后",
  unchanged: "译文没有变：ln P 原为 {before}，现为 {after}。",
  changed: "{all} 个词元中有 {kept} 个没变。完整模型的译文原来 ln P 为 {before}，弄坏后的模型给它 {after}。",

  own: "你自己的译文", ownAbout: "模型逐个读入你的译文，就像是它自己写的（教师强制）。",
  ownName: "要评估的译文", ownTokens: "你的译文的词元", takeModels: "从模型的译文改起",
  lookInsideOwn: "用它查看内部", ownEqual: "ln P {own}：这就是模型自己的译文。",
  ownLess: "ln P {own}；模型自己的译文为 {best}，可能性是它的 {times} 倍。",
  ownLikelier: "ln P {own}：可能性是搜索所得译文（{best}）的 {times} 倍。",

  fault_stopped: "已停止。修改文本即可重新翻译。",
  fault_damaged: "模型文件已损坏；请用 whyformer page 重新生成本页。",
  fault_not_wasm: "此浏览器不能运行模型所需的 WebAssembly；请换用较新的浏览器，或允许它运行。",
  fault_no_worker: "此浏览器不允许网页在后台计算（worker）；请换用较新的浏览器，或通过 HTTP 打开本页。",
  fault_overlong: "文本有 {tokens} 个词元，而模型最多接受 {most} 个；请缩短。",
  fault_surrogate: "文本中有半个由两部分组成的字符，因此不是合法文本；请重新输入该字符。",
  fault_not_finite: "模型算出了无穷大或未定义的数；请恢复弄坏的部分，或换一段文本。",
  fault_memory: "内存不足以处理这段文本；请缩短文本或减小束宽。",
  fault_crashed: "模型意外停止；修改文本即可重新启动。",
  fault_not_loaded: "无法载入 {file}；它必须与本页放在一起。",
};

export const WORDS = { en: ENGLISH, zh: CHINESE };
export const HTML_LANGUAGES = { en: "en", zh: "zh-CN" };

/** Whether there are words by this name. */
export function hasWords(key) {
  return Object.hasOwn(ENGLISH, key);
}

/** The words of a language, filled in. */
export function sayIn(lang, key, values = {}) {
  return WORDS[lang][key].replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === "number" && value >= 1000 ? value.toLocaleString("en") : String(value);
  });
}
