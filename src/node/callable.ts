/**
 * Node's classes of sockets and servers can be called without `new`, and inherited from with `util.inherits`-like code; a class
 * cannot. This gives a class a function's face: call, construct, extend and `instanceof` all work.
 */

/** `T` made of arguments `A`, with or without `new`. */
export interface Callable<A extends unknown[], T> {
  new (...args: A): T
  (...args: A): T
  readonly prototype: T
}

export function callable<A extends unknown[], T extends object>(name: string, make: new (...args: A) => T): Callable<A, T> {
  function face(this: unknown, ...args: A): T {
    // The class itself where nobody inherits: the prototype is the same, and for a plain function as `new.target` V8 makes every instance a hidden class of
    // its own, which costs more than the instance and makes all that later looks at it slow.
    const target = new.target === undefined || new.target === (face as unknown) ? make : new.target
    return Reflect.construct(make, args, target) as T
  }
  Object.setPrototypeOf(face, make) // statics, such as EventEmitter's
  Object.defineProperty(face, 'name', { value: name })
  face.prototype = make.prototype
  Object.defineProperty(face.prototype, 'constructor', { value: face, writable: true, configurable: true })
  return face as unknown as Callable<A, T>
}

/** Makes instances of another class count as instances of this one (`instanceof`), but not of what inherits from it. */
export function countAs(face: object, other: new (...args: never[]) => object): void {
  Object.defineProperty(face, Symbol.hasInstance, {
    value(this: unknown, value: unknown): boolean {
      const own = Function.prototype[Symbol.hasInstance]
      return own.call(this, value) || (this === face && own.call(other, value))
    },
    configurable: true,
  })
}
