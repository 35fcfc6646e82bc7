/** Counters of the packet filter: every packet that ends here has its reason, every connection its fate. Linux's names where it has one. */
import { indexOf } from '../base/counters.ts'

export const NAMES = [
  // verdicts, by hook
  'preroutingDropped',
  'inputDropped',
  'forwardDropped',
  'outputDropped',
  'postroutingDropped',
  'rejected',
  'resetsSent',
  'userErrors',
  // connection tracking (/proc/net/stat/nf_conntrack)
  'found',
  'new',
  'invalid',
  'untracked',
  'related',
  'insertFailed',
  'drop',
  'earlyDrop',
  'expired',
  'reopened',
  // fragments
  'fragmentsHeld',
  'fragmentsReleased',
  'fragmentsDropMemory',
  'fragmentsDropTime',
  'fragmentsDropTiny',
  'fragmentsDropUnknown',
  // translation
  'natTranslated',
  'natErrorsTranslated',
  'natDropNoPort',
  'natDropNoAddress',
  'natDropNoRoute',
  'natDropInvalid',
  'natDropRedirect',
  'natGone',
] as const

export const C = indexOf(NAMES)
