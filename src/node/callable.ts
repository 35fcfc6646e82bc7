/**
 * Node's classes of sockets and servers can be called without `new`, and on an object of a kind that inherits from them (`net.Socket.call(this)` after
 * `util.inherits`); a class cannot. This gives a class a function's face: call, construct, extend and `instanceof` all work.
 *
 * Theory of operation. A constructor that is called on an object must fill that object. A class asks its base for the object that it fills, so where
 * a class of ours ends and a function of Node's begins stands a base (`adoptable`) that gives the caller's object when there is one.
 */

/** `T` made of arguments `A`, with or without `new`. */
export interface Callable<A extends unknown[], T> {
  new (...args: A): T
  (...args: A): T
  readonly prototype: T
}

type Class<A extends unknown[], T> = new (...args: A) => T

/** The object that is being filled, until the base takes it, and by which class. */
const adoption: { object: object | null; by: unknown } = { object: null, by: null }

/** Gives the object that is to be filled, filled as far as Node's function does it. */
const ADOPTING: ProxyHandler<new () => object> = {
  construct(Base, args, newTarget) {
    const { object } = adoption
    if (object === null || adoption.by !== newTarget) return Reflect.construct(Base, args, newTarget)
    adoption.object = null
    Function.prototype.apply.call(Base, object, args)
    return object
  },
}

/** `Base`, one of Node's functions, as the base of classes with a `callable` face. A function between would cost the hidden class (see below), a proxy does not. */
export function adoptable<C extends abstract new (...args: never) => object>(Base: C): C {
  return new Proxy(Base as unknown as new () => object, ADOPTING) as unknown as C
}

export function callable<A extends unknown[], T extends object>(name: string, make: Class<A, T>): Callable<A, T> {
  function face(this: unknown, ...args: A): T {
    // The class itself where nobody inherits: the prototype is the same, and for a plain function as `new.target` V8 makes every instance a hidden class of
    // its own, which costs more than the instance and makes all that later looks at it slow.
    const target = new.target === undefined || new.target === (face as unknown) ? make : new.target
    if (new.target !== undefined || !isHeir(this)) return Reflect.construct(make, args, target) as T
    adoption.object = this
    adoption.by = make
    try {
      return Reflect.construct(make, args) as T
    } finally {
      adoption.object = null
    }
  }
  /** It is of this kind, and wants to be filled. */
  function isHeir(object: unknown): object is object {
    return typeof object === 'object' && object !== null && Object.prototype.isPrototypeOf.call(make.prototype, object)
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
