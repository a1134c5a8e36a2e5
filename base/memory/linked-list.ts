/** Where a value is in a `LinkedList`: who keeps it can take the value out again. */
export interface Place<T> {
  readonly value: T;
}

/** A place with its neighbours; both undefined once it is out of its list. */
class Node<T> implements Place<T> {
  readonly value: T;
  next: Node<T> | undefined;
  previous: Node<T> | undefined;

  constructor(value: T) {
    this.value = value;
  }
}

/**
 * Values in the order in which they came, for what comes and goes with every request: a Set or Map that changes all the time keeps
 * what was in it from the scavenger (docs/kernel-notes.md#set-garbage), this keeps nothing. Adding and removing take a constant time.
 */
export class LinkedList<T> implements Iterable<T> {
  #first: Node<T> | undefined;
  #last: Node<T> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): T | undefined {
    return this.#first?.value;
  }

  /** Whether it is still there; the place must be of this list. */
  has(place: Place<T>): place is Node<T> {
    return place instanceof Node && (place.previous !== undefined || this.#first === place);
  }

  /** Adds it as the last. */
  add(value: T): Place<T> {
    const node = new Node(value);
    node.previous = this.#last;
    if (this.#last === undefined) this.#first = node;
    else this.#last.next = node;
    this.#last = node;
    this.#size++;
    return node;
  }

  /** @returns whether it was still there; the place must be of this list */
  remove(place: Place<T>): boolean {
    if (!this.has(place)) return false;
    const { next, previous } = place;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    place.next = undefined;
    place.previous = undefined;
    this.#size--;
    return true;
  }

  /** All places, of which those that are removed meanwhile are passed over. */
  *places(): Generator<Place<T>, void> {
    const all: Place<T>[] = [];
    for (let node = this.#first; node !== undefined; node = node.next) all.push(node);
    for (const place of all) if (this.has(place)) yield place;
  }

  /** None may be removed meanwhile. */
  *[Symbol.iterator](): Generator<T, void> {
    for (let node = this.#first; node !== undefined; node = node.next) yield node.value;
  }
}
