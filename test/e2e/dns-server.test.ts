import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('the DNS server and the tools that ask it, in a network namespace', () => {
  insideNamespace('dns-server.inside.ts')
})
