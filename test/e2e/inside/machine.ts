/**
 * A virtual machine for tests: Debian's kernel and busybox in an initramfs made here, by QEMU without hardware's help. The kernel is that of the machine, or of
 * a package unpacked elsewhere: `apt-get download linux-image-6.1.0-50-cloud-amd64-unsigned; dpkg -x linux-image-*.deb DIR; TAPSTACK_GUEST_ROOT=DIR`.
 */
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { sh } from './lab.ts'

export interface Machine {
  kernel: string
  initrd: string
}

/** In the order of what needs what. Those that are part of the kernel are no files. */
const MODULES = [
  'drivers/virtio/virtio',
  'drivers/virtio/virtio_ring',
  'drivers/virtio/virtio_pci_modern_dev',
  'drivers/virtio/virtio_pci_legacy_dev',
  'drivers/virtio/virtio_pci',
  'net/core/failover',
  'drivers/net/net_failover',
  'drivers/net/virtio_net',
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
  const modules = MODULES.map((name) => join(root, 'lib/modules', release, 'kernel', `${name}.ko`)).filter(existsSync)
  for (const [i, path] of modules.entries()) put(path, `m${i}.ko`)
  write('bin/lease', '#!/bin/busybox sh\n[ "$1" = bound ] && ip addr add $ip/24 dev eth0\n')
  write(
    'init',
    [
      '#!/bin/busybox sh',
      '/bin/busybox --install -s /bin',
      'mount -t proc proc /proc',
      'mount -t devtmpfs dev /dev',
      ...modules.map((_, i) => `insmod /m${i}.ko`),
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
