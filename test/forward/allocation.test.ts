/** Forwarding makes no garbage: 100,000 packets through a router that has warmed up. */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const probe = fileURLToPath(new URL('../support/forward-probe.ts', import.meta.url))
/** As in test/allocation.test.ts: the collector does not run in between, and hot code is compiled when it is found to be hot. */
const NODE = ['--expose-gc', '--max-semi-space-size=256', '--min-semi-space-size=256', '--no-concurrent-recompilation']

/** CI measures both families, by hand IPv4: two seconds each. */
const FAMILIES = process.env.CI === undefined ? ['4'] : ['4', '6']

it.each(FAMILIES)('bytes allocated per packet of IPv%s that is sent on', { timeout: 60_000 }, (family) => {
  const text = execFileSync(process.execPath, [...NODE, '--import', 'tsx', probe, family], { encoding: 'utf8' })
  const { units, perUnit } = JSON.parse(text) as { units: number; perUnit: number }
  expect(units).toBe(100_000)
  expect(perUnit).toBeLessThan(2)
})
