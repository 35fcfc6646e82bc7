/**
 * The face of a class as programs look at it: what stands on the prototype, which of it `for in` and `Object.keys` show, how many arguments a function
 * has. Mixins and tracers copy and wrap by these. Node's classes are functions with assigned methods, ours are classes that inherit from each other;
 * this puts everything where Node's has it.
 */

/** Gives `face` of Node's class of that kind what Node's `like` shows: its own keys, enumerable as there, and the lengths. */
export function showAs(face: { prototype: object }, like: { prototype: object }): void {
  setLength(face, like)
  const inherited: object = Object.getPrototypeOf(like.prototype)
  for (const key of Reflect.ownKeys(like.prototype)) {
    const theirs = Object.getOwnPropertyDescriptor(like.prototype, key)!
    const ours = descriptorOf(face.prototype, key)
    if (ours === undefined || key === 'constructor') continue
    // What we inherit from a class of Node's is not ours to change.
    const isOwn = descriptorOf(inherited, key)?.value !== ours.value
    if (isOwn && typeof theirs.value === 'function' && typeof ours.value === 'function') setLength(ours.value, theirs.value)
    Object.defineProperty(face.prototype, key, { ...ours, enumerable: theirs.enumerable, configurable: true })
  }
}

/** The functions of a module (or any object) get the lengths of Node's. */
export function lengthsAs(ours: object, theirs: object): void {
  for (const [key, value] of Object.entries(ours)) {
    const like = (theirs as Record<string, unknown>)[key]
    if (value !== like && typeof value === 'function' && typeof like === 'function') setLength(value, like)
  }
}

function setLength(ours: object, theirs: object): void {
  Object.defineProperty(ours, 'length', { value: (theirs as { length: number }).length, configurable: true })
}

function descriptorOf(of: object, key: string | symbol): PropertyDescriptor | undefined {
  for (let p: object | null = of; p !== null; p = Object.getPrototypeOf(p)) {
    const found = Object.getOwnPropertyDescriptor(p, key)
    if (found !== undefined) return found
  }
  return undefined
}
