import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

// vde_plug, vde_switch and vdens are packages of Debian that few have.
const missing = ['vde_plug', 'vde_switch', 'vdens'].filter(
  (tool) => spawnSync(tool, ['--help'], { stdio: 'ignore' }).error !== undefined,
)

if (missing.length === 0) {
  describeTap('VDE: the programs of others on networks of ours, and we on theirs', () => {
    insideNamespace('vde.inside.ts')
  })
} else if (process.env.CI === 'true') {
  describe('VDE', () => {
    it('needs the programs of VDE (Debian: vdeplug vde-switch vdens)', () => {
      expect(missing).toEqual([])
    })
  })
} else console.warn(`\n*** NOT TESTED: VDE with the programs of others: ${missing.join(', ')} missing\n`)
