/** Something that can go wrong, as a code that the page has a sentence for, and what fills its holes. */
export class Fault extends Error {
  constructor(code, values = {}) {
    super(code);
    this.name = "Fault";
    this.code = code;
    this.values = values;
  }
}
