/**
 * A virtual machine for tests: Debian's kernel and busybox in an initramfs made here, by QEMU without hardware's help. The kernel is that of the machine, or of
 * a package unpacked elsewhere, in the folder that TAPSTACK_GUEST_ROOT names: test/e2e/guest-root.sh makes one.
 */
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { sh } from './lab.ts'

export interface Machine {
  kernel: string
  initrd: string
}

/** What the machine is for; what these need is loaded before them. Those that are part of the kernel are no files. */
const MODULES = ['virtio_pci', 'virtio_net', '8021q']

/** Distributions compress modules, and busybox's insmod does not know all the ways. */
const COMPRESSED: readonly (readonly [string, string])[] = [
  ['.xz', 'busybox xzcat'],
  ['.gz', 'gzip -dc'],
  ['.zst', 'zstd -dcq'],
]

const root = process.env.TAPSTACK_GUEST_ROOT ?? '/'

/** The kernel's release; null where there is none, or no QEMU, or no busybox. */
export function machineKernel(): string | null {
  const boot = join(root, 'boot')
  const programs = ['/usr/bin/qemu-system-x86_64', '/usr/bin/busybox']
  if (process.arch !== 'x64' || !programs.every((program) => existsSync(program)) || !existsSync(boot)) return null
  const kernels = readdirSync(boot).filter((name) => name.startsWith('vmlinuz-'))
  const release = kernels.sort().pop()?.slice('vmlinuz-'.length) ?? null
  return release !== null && existsSync(join(root, 'lib/modules', release)) ? release : null
}

/** A machine that gets an address by DHCP, runs `script` and is switched off. Its files are in `dir`. */
export function makeMachine(dir: string, release: string, script: string): Machine {
  const tree = join(dir, 'tree')
  const put = (from: string, to: string): void => {
    mkdirSync(dirname(join(tree, to)), { recursive: true })
    copyFileSync(from, join(tree, to))
  }
  const write = (path: string, text: string): void => {
    writeFileSync(join(tree, path), text)
    chmodSync(join(tree, path), 0o755)
  }
  put('/usr/bin/busybox', 'bin/busybox')
  for (const library of sh('ldd /usr/bin/busybox').match(/\/lib\S+/g) ?? []) put(library, library.slice(1))
  for (const name of ['proc', 'dev']) mkdirSync(join(tree, name))
  const modules = new Modules(join(root, 'lib/modules', release), tree)
  for (const name of MODULES) modules.add(name)
  write('bin/lease', '#!/bin/busybox sh\n[ "$1" = bound ] && ip addr add $ip/24 dev eth0\n')
  write(
    'init',
    [
      '#!/bin/busybox sh',
      '/bin/busybox --install -s /bin',
      'mount -t proc proc /proc',
      'mount -t devtmpfs dev /dev',
      ...modules.names.map((name) => `insmod /${name}.ko`),
      'ip link set eth0 up',
      'udhcpc -i eth0 -n -q -s /bin/lease',
      script,
      'poweroff -f',
      '',
    ].join('\n'),
  )
  const initrd = join(dir, 'initrd.gz')
  sh(`cd ${tree}; find . | busybox cpio -o -H newc 2>/dev/null | gzip -1 > ${initrd}`)
  return { kernel: join(root, 'boot', `vmlinuz-${release}`), initrd }
}

/** Modules unpacked into a tree, each behind those that it says it needs: distributions make the list of that when they install, not before. */
class Modules {
  readonly names: string[] = []
  private readonly paths = new Map<string, string>()

  constructor(
    dir: string,
    private readonly tree: string,
  ) {
    for (const path of sh(`find ${dir}/kernel -name '*.ko*'`).trim().split('\n')) {
      this.paths.set(
        basename(path)
          .replace(/\.ko.*/, '')
          .replaceAll('-', '_'),
        path,
      )
    }
  }

  add(name: string): void {
    const path = this.paths.get(name)
    if (path === undefined || this.names.includes(name)) return
    const [, unpack] = COMPRESSED.find(([ending]) => path.endsWith(ending)) ?? ['', 'cat']
    const to = join(this.tree, `${name}.ko`)
    sh(`${unpack} ${path} > ${to}`)
    // The section .modinfo is strings with a zero behind each.
    const needs = /\0depends=([^\0]*)\0/.exec(readFileSync(to, 'latin1'))?.[1] ?? ''
    for (const other of needs.split(',')) this.add(other.replaceAll('-', '_'))
    this.names.push(name)
  }
}
