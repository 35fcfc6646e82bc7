/**
 * `node --import tapstack/register app.js`: the whole program, or the packages that are named, on a stack, with not a line of it changed.
 *
 * The environment says where the stack is: TAPSTACK_LINK (a URL of `openLink`; without it the stack is alone with its loopback), TAPSTACK_ADDRESS,
 * TAPSTACK_GATEWAY, TAPSTACK_DNS (lists by comma), TAPSTACK_MAC, TAPSTACK_DHCP, TAPSTACK_SLAAC (1: yes), TAPSTACK_PACKAGES, TAPSTACK_MODULES (lists; whose, and which).
 * The same by a query, in lower case: `--import 'tapstack/register?link=tap%3A%2F%2Ftap0&dhcp=1'`. The program starts when the addresses may be used.
 */
import { createStack, openLink } from './index.ts'
import { readSettings } from './node/register-settings.ts'

const { link, attach, dns, register } = readSettings(process.env, new URL(import.meta.url).searchParams)

/** The stack of the program. */
export const stack = createStack({ dns: dns.length > 0 ? { servers: dns } : {} })

if (link !== '') await stack.attach(await openLink(link), attach).ready
stack.register(register)
