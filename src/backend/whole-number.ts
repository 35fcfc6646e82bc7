/** Numbers that programs give to links. (What a URL says has been looked at where it was read.) */
import { invalidArgument } from '../base/errors.ts'

/** The number, which is whole and within its limits. Throws ERR_INVALID_ARG_VALUE: what is no number would be no limit. */
export function wholeNumber(what: string, value: number, least: number, most = 0x7fff_ffff): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value
  throw invalidArgument(`Invalid ${what} ${value}: a whole number from ${least} to ${most} is expected`)
}
