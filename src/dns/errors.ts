/** Errors of the resolver, as node:dns has them. */
import { NetError } from '../base/errors.ts'
import type { LookupResult } from './lookup.ts'
import type { Outcome } from './outcome.ts'

export type NameError = NetError & { hostname?: string }

/** What libuv makes of getaddrinfo's codes. */
const EAI: Readonly<Record<string, number>> = { ENOTFOUND: -3008, EAI_AGAIN: -3001 }

function worded(code: string, syscall: string, hostname: string, why: string | undefined): NameError {
  const said = hostname === '' ? '' : ` ${hostname}`
  const message = `${syscall} ${code}${said}${why === undefined ? '' : `: ${why}`}`
  const error = new NetError(code, { syscall, message })
  return Object.assign(error, hostname === '' ? {} : { hostname })
}

/** Why `lookup` found nothing. */
export function lookupError(hostname: string, result: Pick<LookupResult, 'code'> & { why?: string }): NameError {
  const error = worded(result.code, 'getaddrinfo', hostname, result.why)
  return EAI[result.code] === undefined ? error : Object.assign(error, { errno: EAI[result.code] })
}

/** Why a question was not answered: `queryA ENOTFOUND name`. */
export function queryError(syscall: string, hostname: string, outcome: Pick<Outcome, 'code' | 'why'>): NameError {
  return worded(outcome.code, syscall, hostname, outcome.why)
}
