/** Files of zeros that a command of the script made (`dd if=/dev/zero of=...`), as far as scripts send them: open, sendfile. */
import type { Expression, Syscall } from './ast.ts'
import { type Attempt, type Call, type File, type Files, fileOf, socketOf, writing } from './calls.ts'
import { fail, skip } from './stop.ts'
import { boxed, int, isAny } from './values.ts'

class ZeroFile implements File {
  constructor(
    readonly bytes: number,
    public at = 0,
  ) {}

  close(): void {}
}

function open(args: readonly Expression[], files: Files, call: Syscall): Attempt {
  const path = args[0]
  if (path?.kind !== 'string') return fail('open: a path is expected')
  const bytes = files.disk.get(path.value)
  const fd = int(call.result, files.platform)
  return {
    first: () => {
      if (bytes === undefined) return 'ENOENT'
      files.table.set(fd, new ZeroFile(bytes))
      return fd
    },
    nonBlocking: true,
    isDescriptor: true,
  }
}

/** With an offset of its own the file's stays. */
function sendfile(args: readonly Expression[], files: Files): Attempt {
  const s = socketOf(args[0], files)
  const file = fileOf(args[1], files)
  if (!(file instanceof ZeroFile)) return skip('sendfile from what is no file')
  const own = args[2].kind === 'word' || isAny(args[2]) ? null : boxed(args[2], files.platform)
  const from = own ?? file.at
  const attempt = writing(s, Math.max(0, Math.min(int(args[3], files.platform), file.bytes - from)), [])
  const { first } = attempt
  attempt.first = () => {
    const n = first()
    if (own === null && typeof n === 'number') file.at = from + n
    return n
  }
  return attempt
}

export const FILE_CALLS: { readonly [name: string]: Call } = { open, sendfile }
