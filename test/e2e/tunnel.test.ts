import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap("tunnels: usertunnel between two kernels; with vde_plug and the kernel's vxlan", () => {
  insideNamespace('tunnel.inside.ts')
})
