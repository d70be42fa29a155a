/**
 * A bounded memory for pure functions of one string.
 *
 * Expressions and zone names come from users and are few, but nothing says how few: when the
 * memory is full, its oldest entry goes. A call that throws is not remembered.
 */

/** Returns `make` with its last `limit` results kept. */
export function memoize<Value>(limit: number, make: (key: string) => Value): (key: string) => Value {
  const known = new Map<string, Value>();
  return (key) => {
    const found = known.get(key);
    if (found !== undefined) return found;
    const made = make(key);
    if (known.size >= limit) {
      for (const oldest of known.keys()) {
        known.delete(oldest);
        break;
      }
    }
    known.set(key, made);
    return made;
  };
}
