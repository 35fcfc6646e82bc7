/**
 * `tapstack/sim`: virtual time, links with bad manners, and a small world of stacks, for tests of one's own protocols and applications.
 * Pure, as `tapstack/core` is.
 */
export type { Host, Task, TimerHandle } from './base/clock.ts'
export type { ConfigOverrides } from './base/config.ts'
export { type Random, SeededRandom } from './base/random.ts'
export { type FaultLink, fault } from './link/fault.ts'
export type { Direction, FaultOptions, FrameFilter, Impairments } from './link/impairments.ts'
export { createPipe, type PipeOptions } from './link/pipe.ts'
export type { Medium, NetIf } from './netif/netif.ts'
export type { Outcome } from './sim/script/ast.ts'
export type { Includes } from './sim/script/commands.ts'
export type { ProfileName } from './sim/script/profiles.ts'
export { runScript, type ScriptRunOptions } from './sim/script/script.ts'
export type { IpVersion } from './sim/script/settings.ts'
export { VirtualHost, type VirtualHostOptions } from './sim/virtual-host.ts'
export { createWorld, World, type WorldLink, type WorldLinkOptions, type WorldOptions } from './sim/world.ts'
export type { AttachedInterface } from './stack/attached.ts'
export type { Stack } from './stack/stack.ts'
