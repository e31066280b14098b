/** An item with a time. `order` decides between equal times; `at` is the heap's own note of where the item lies. */
export interface Due {
  /** When it is due, ms. */
  due: number;
  /** First come, first served among equal times. */
  order: number;
  /** Index in the heap; written by the heap alone. */
  at: number;
}

/** A binary heap with the earliest item on top: O(log n) to push, to pop and to move an item forward. */
export class DueHeap<T extends Due> {
  readonly #items: T[] = [];

  /** How many items of the heap are due at `now`. Looks only at those and their children. */
  countDue(now: number, at = 0): number {
    const item = this.#items[at];
    if (item === undefined || item.due > now) return 0;
    return 1 + this.countDue(now, 2 * at + 1) + this.countDue(now, 2 * at + 2);
  }

  /** The earliest item. */
  peek(): T | undefined {
    return this.#items[0];
  }

  /** Puts an item in. */
  push(item: T): void {
    item.at = this.#items.push(item) - 1;
    this.#rise(item);
  }

  /** Takes the earliest item out. */
  pop(): T | undefined {
    const top = this.#items[0];
    const last = this.#items.pop();
    if (top !== undefined && last !== undefined && last !== top) {
      this.#items[0] = last;
      last.at = 0;
      this.#sink(last);
    }
    return top;
  }

  /** Gives an item that lies in the heap an earlier time. */
  advance(item: T, due: number): void {
    item.due = due;
    this.#rise(item);
  }

  /** Takes everything out. */
  clear(): void {
    this.#items.length = 0;
  }

  #rise(item: T): void {
    while (item.at > 0) {
      const parent = this.#items[(item.at - 1) >> 1]!;
      if (!before(item, parent)) return;
      this.#swap(item, parent);
    }
  }

  #sink(item: T): void {
    for (;;) {
      const left = this.#items[2 * item.at + 1];
      const right = this.#items[2 * item.at + 2];
      const child = right !== undefined && left !== undefined && before(right, left) ? right : left;
      if (child === undefined || !before(child, item)) return;
      this.#swap(child, item);
    }
  }

  #swap(a: T, b: T): void {
    const at = a.at;
    this.#items[b.at] = a;
    this.#items[at] = b;
    a.at = b.at;
    b.at = at;
  }
}

function before(a: Due, b: Due): boolean {
  return a.due < b.due || (a.due === b.due && a.order < b.order);
}
