/** What {@linkcode ListSplitter} took from a list beside its items. */
export interface ListHead {
  metadata: { resourceVersion: string; continue?: string };
}

const QUOTE = 34,
  BACKSLASH = 92,
  COMMA = 44,
  OPEN_BRACKET = 91,
  CLOSE_BRACKET = 93,
  OPEN_BRACE = 123,
  CLOSE_BRACE = 125;

/** The name before a top-level value that is the items. */
const ITEMS_KEY = /[{,]\s*"items"\s*:\s*$/;

/** The items of one list answer as they arrive, some at a time, and at last its head. @throws {SyntaxError} */
export async function* listParts(body: AsyncIterable<Uint8Array>): AsyncGenerator<unknown[] | ListHead> {
  const decoder = new TextDecoder();
  const splitter = new ListSplitter();
  for await (const chunk of body) {
    const items = splitter.push(decoder.decode(chunk, { stream: true }));
    if (items.length > 0) yield items.map((text) => JSON.parse(text));
  }
  yield splitter.end();
}

/**
 * Takes a Kubernetes list apart while it arrives: whole items come out as text, the rest of the list is its head.
 * `JSON.parse` of a page of 250 objects of 20 KB holds the event loop for 11 ms (and admission with it); an object at
 * a time, it never does for more than a fraction of one.
 */
export class ListSplitter {
  readonly #maxItem: number;
  #head: string[] = [];
  #item: string[] = []; // pieces of the item whose end has not come
  #itemLength = 0;
  #depth = 0;
  #inItems = false;
  #inString = false;
  #escaped = false;

  /** `maxItem`: characters that an item may have; etcd's limit for an object is 1.5 MB. */
  constructor(maxItem = 8 << 20) {
    this.#maxItem = maxItem;
  }

  /**
   * The items that end in `text`, the next piece of the list.
   * @throws {SyntaxError} if something other than objects is among the items.
   */
  push(text: string): string[] {
    const items: string[] = [];
    let depth = this.#depth, inString = this.#inString, escaped = this.#escaped, inItems = this.#inItems;
    let start = 0; // of what neither the head nor an item has taken yet
    for (let i = 0; i < text.length; i++) {
      const c = text.charCodeAt(i);
      if (inString) {
        if (escaped) escaped = false;
        else if (c === BACKSLASH) escaped = true;
        else if (c === QUOTE) inString = false;
        continue;
      }
      if (c === OPEN_BRACE || c === OPEN_BRACKET) {
        if (depth === 1 && c === OPEN_BRACKET) {
          this.#head.push(text.slice(start, i));
          start = i;
          inItems = ITEMS_KEY.test(this.#head.join(""));
          if (inItems) {
            this.#head.push("[");
            start = i + 1;
          }
        } else if (inItems && depth === 2) {
          start = i;
        }
        depth++;
      } else if (c === CLOSE_BRACE || c === CLOSE_BRACKET) {
        depth--;
        if (inItems && depth === 2) {
          items.push(this.#item.join("") + text.slice(start, i + 1));
          this.#item = [];
          this.#itemLength = 0;
        } else if (inItems && depth === 1) {
          inItems = false;
          start = i; // the bracket belongs to the head
        }
      } else if (c === QUOTE) {
        inString = true;
      }
      if (inItems && depth === 2 && c !== CLOSE_BRACE && c !== OPEN_BRACKET && c !== COMMA && c > 32) {
        throw new SyntaxError("Cannot read a list: its items are not objects");
      }
    }
    if (!inItems) this.#head.push(text.slice(start));
    else if (depth > 2) this.#keep(text.slice(start));
    this.#depth = depth;
    this.#inString = inString;
    this.#escaped = escaped;
    this.#inItems = inItems;
    return items;
  }

  /** The list without its items, once all has been pushed. @throws {SyntaxError} if it is not whole. */
  end(): ListHead {
    const head = JSON.parse(this.#head.join("")) as Partial<ListHead> | null;
    if (typeof head?.metadata?.resourceVersion !== "string") {
      throw new SyntaxError("Cannot read a list: metadata.resourceVersion is missing");
    }
    return head as ListHead;
  }

  #keep(piece: string): void {
    this.#item.push(piece);
    this.#itemLength += piece.length;
    if (this.#itemLength > this.#maxItem) {
      throw new SyntaxError(`Cannot read a list: an item has more than ${this.#maxItem} characters`);
    }
  }
}
