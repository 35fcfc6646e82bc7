import { insideNamespace } from '../support/inside.ts'
import { describeTap } from '../support/root.ts'

describeTap('routers: ours between two kernels, and a kernel before ours', () => {
  insideNamespace('router.inside.ts')
})
