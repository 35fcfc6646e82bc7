import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('multicast DNS and avahi, in a network namespace', () => {
  insideNamespace('mdns.inside.ts')
})
