/** A stack with one Ethernet interface `v0` (10.0.0.5/24, fc00::5/64), as the real ip(8) was asked in a namespace for what the tests expect. */
import { createWorld, type World } from '../../src/sim/world.ts'
import type { AttachedInterface } from '../../src/stack/attached.ts'
import type { Stack } from '../../src/stack/stack.ts'

export const MAC = '02:00:00:00:00:05'

export interface IpWorld {
  world: World
  stack: Stack
  v0: AttachedInterface
  /** What is printed, or `CODE: words`. */
  run(line: string): string
}

/** `dad`: addresses are asked for before they are used. */
export function ipWorld(dad = false): IpWorld {
  const world = createWorld()
  const stack = world.stack({ nd: { dadTransmits: dad ? 1 : 0 } })
  const v0 = world.link(stack, world.stack()).a
  v0.rename('v0')
  const run = (line: string): string => {
    try {
      return stack.ip(line)
    } catch (error) {
      const { code, message } = error as { code: string; message: string }
      return `${code}: ${message}`
    }
  }
  v0.removeAddress('10.0.0.1/24')
  run(`link set v0 address ${MAC}; addr add 10.0.0.5/24 dev v0; addr add fc00::5/64 dev v0 nodad`)
  return { world, stack, v0, run }
}
