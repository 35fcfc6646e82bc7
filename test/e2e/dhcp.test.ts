import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('DHCP with the servers and clients that there are, in a network namespace', () => {
  insideNamespace('dhcp.inside.ts')
  insideNamespace('dhcp-relay.inside.ts')
})
