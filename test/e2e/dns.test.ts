import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('the resolver and dnsmasq, in a network namespace', () => {
  insideNamespace('dns.inside.ts')
})
