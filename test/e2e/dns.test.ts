import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('the resolver, dnsmasq, and a server that lies, in a network namespace', () => {
  insideNamespace('dns.inside.ts')
  insideNamespace('dns-liar.inside.ts')
})
