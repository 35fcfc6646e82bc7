/** What commands say of links whose other end comes and goes. */
import type { LinkChange } from '../backend/dialer.ts'

/** `tunnel+tcp://192.0.2.1:5000: waiting (connect ECONNREFUSED 192.0.2.1:5000), again in 296 ms`, without the options of the URL. */
export function changeLine(url: string, { state, error, pauseMs, peer }: LinkChange): string {
  const who = peer === undefined ? '' : ` ${peer}`
  const why = error === undefined ? '' : ` (${error.message})`
  const when = pauseMs === undefined ? '' : `, again in ${pauseMs} ms`
  return `${url.split('?')[0]}: ${state}${who}${why}${when}`
}
