/** What a link over a descriptor needs of its surroundings, loaded once for the process; tests give their own. */
import type { Libc } from './libc.ts'
import { loadKoffi, loadLibc } from './libc.ts'
import type { Waker } from './wake.ts'
import { processWaker } from './wake.ts'

export interface System {
  libc: Libc
  waker: Waker
}

/** ERR_UNSUPPORTED_PLATFORM, ERR_KOFFI_UNAVAILABLE. */
export async function loadSystem(): Promise<System> {
  const libc = await loadLibc()
  return { libc, waker: processWaker(await loadKoffi(), libc) }
}
