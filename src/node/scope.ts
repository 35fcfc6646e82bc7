/**
 * In whose async context (AsyncLocalStorage) a socket's news are told. A turn of the stack runs in whatever context happened to ask for it, so every call from there
 * goes through here.
 *
 * Node ties a socket to the context in which its handle was made: that of `connect`. What waits for a write is told in that of `write`.
 * A handle that was accepted is made by the event loop, in no context at all.
 */
import { AsyncResource } from 'node:async_hooks'

/** The context of nobody. */
const nowhere = new AsyncResource('TAPSTACK')

function made(type: string): AsyncResource {
  return new AsyncResource(type)
}

export class Scope {
  /** Null before there is anything to tell. */
  private resource: AsyncResource | null = null
  private writer: AsyncResource | null = null

  constructor(private readonly type: string) {}

  /** News are told in the context of now. */
  here(): void {
    this.resource = made(this.type)
  }

  /** News are told in no context. */
  away(): void {
    this.resource = nowhere.runInAsyncScope(made, null, this.type)
  }

  asyncId(): number {
    return this.resource === null ? -1 : this.resource.asyncId()
  }

  runInAsyncScope<T, A>(run: (this: T, arg: A) => void, self: T, arg?: A): void {
    if (this.resource === null) run.call(self, arg as A)
    else this.resource.runInAsyncScope(run as (this: T, ...args: unknown[]) => void, self, arg)
  }

  /** A write has to wait: what it waits for is told in the context of now. */
  protected writeWaits(): void {
    this.writer = made('TAPSTACKWRITE')
  }

  protected runForWriter<T>(run: (this: T) => void, self: T): void {
    this.writer!.runInAsyncScope(run, self)
  }
}
