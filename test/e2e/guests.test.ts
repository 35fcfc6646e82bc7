import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('guests: passt as the gateway, a virtual machine at our switch, a card by its packet socket', () => {
  insideNamespace('guests.inside.ts')
})
