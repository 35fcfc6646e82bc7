import { insideNamespace } from '../support/inside.ts'
import { withPrograms } from '../support/programs.ts'
import { describeTap } from '../support/root.ts'

withPrograms('VDE with the programs of others', ['vde_plug', 'vde_switch', 'vdens'], () => {
  describeTap('VDE: the programs of others on networks of ours, and we on theirs', () => {
    insideNamespace('vde.inside.ts')
  })
})
