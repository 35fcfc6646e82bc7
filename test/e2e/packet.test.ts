import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('packet sockets at both ends of a veth pass the suite of all links', () => {
  insideNamespace('packet-conformance.inside.ts')
})
