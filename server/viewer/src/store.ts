/** A small observable record: parts of the page listen to the keys they show. */
export class Store<T extends object> {
  #value: T;
  #listeners = new Set<(value: T, changed: Set<keyof T>) => void>();

  constructor(initial: T) {
    this.#value = initial;
  }

  get value(): Readonly<T> {
    return this.#value;
  }

  set(patch: Partial<T>): void {
    const changed = new Set<keyof T>();
    for (const key of Object.keys(patch) as (keyof T)[]) {
      if (this.#value[key] !== patch[key]) changed.add(key);
    }
    if (changed.size === 0) return;
    this.#value = { ...this.#value, ...patch };
    for (const listener of [...this.#listeners]) listener(this.#value, changed);
  }

  /** Calls now and after every change of one of the keys; returns the way to stop. */
  watch(keys: (keyof T)[], call: (value: T) => void): () => void {
    const listener = (value: T, changed: Set<keyof T>): void => {
      if (keys.some((key) => changed.has(key))) call(value);
    };
    this.#listeners.add(listener);
    call(this.#value);
    return () => this.#listeners.delete(listener);
  }
}
