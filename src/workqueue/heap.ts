// A binary min-heap whose members know nothing of it and can be taken out from the middle.

export class DueHeap<T extends object> {
  #items: T[] = [];
  #place = new Map<T, number>();
  #at: (item: T) => number | undefined;

  /** `at` gives an item's time; it must not change while the item is in the heap. */
  constructor(at: (item: T) => number | undefined) {
    this.#at = at;
  }

  get size(): number {
    return this.#items.length;
  }

  /** The item with the earliest time. */
  peek(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    this.#items.push(item);
    this.#place.set(item, this.#items.length - 1);
    this.#up(this.#items.length - 1);
  }

  /** Takes `item` out, if it is in. */
  remove(item: T): void {
    const place = this.#place.get(item);
    if (place === undefined) return;
    const last = this.#items.pop();
    this.#place.delete(item);
    if (last === undefined || last === item) return;
    this.#items[place] = last;
    this.#place.set(last, place);
    this.#up(place);
    this.#down(this.#place.get(last) ?? place);
  }

  #up(place: number): void {
    for (let i = place; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (!this.#before(i, parent)) return;
      this.#swap(i, parent);
      i = parent;
    }
  }

  #down(place: number): void {
    for (let i = place; ; ) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) if (child < this.#items.length && this.#before(child, least)) least = child;
      if (least === i) return;
      this.#swap(i, least);
      i = least;
    }
  }

  #before(a: number, b: number): boolean {
    return this.#time(a) < this.#time(b);
  }

  #time(place: number): number {
    const item = this.#items[place];
    return (item === undefined ? undefined : this.#at(item)) ?? Number.POSITIVE_INFINITY;
  }

  #swap(a: number, b: number): void {
    const [x, y] = [this.#items[a], this.#items[b]];
    if (x === undefined || y === undefined) return;
    this.#items[a] = y;
    this.#items[b] = x;
    this.#place.set(y, a);
    this.#place.set(x, b);
  }
}
