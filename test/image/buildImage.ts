import { execFile, execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { root } from '../cli/command.ts'
import { type Instruction, instructions, readDockerfile } from './dockerfile.ts'

/** Changes the machine it runs on, and needs root: the one step that is left to Docker. */
const PACKAGES = 'scripts/image/packages.sh'

/** What takes minutes or the network, and where this checkout has the outcome already. */
const slowSteps: Record<string, (source: string) => void> = {
  'scripts/image/install.sh': source =>
    symlinkSync(join(root, 'node_modules'), join(source, 'node_modules')),
  'scripts/image/build.sh': source =>
    cpSync(join(root, 'build/native'), join(source, 'build/native'), {
      recursive: true,
      filter: path => !/\.(a|ninja)$|CMakeFiles|native_tests/.test(path),
    }),
}

export interface Image {
  /** Turns a path of the image into the one here. */
  at(path: string): string
  env: Record<string, string>
  entrypoint: string[]
  healthcheck: string[]
}

/** The files that a clone has, those that are not committed yet included; undefined without git. */
export function trackedFiles(): string[] | undefined {
  if (!existsSync(join(root, '.git'))) return undefined
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
  const text = execFileSync('git', args, { cwd: root, encoding: 'utf8' })
  return text.split('\0').filter(path => path !== '' && existsSync(join(root, path)))
}

/**
 * Follows the Dockerfile in an empty folder, without Docker.
 * @param full runs the slow steps too
 */
export async function buildImage(folder: string, tracked: string[], full: boolean): Promise<Image> {
  const stages = readDockerfile()
  const build = stages.find(({ name }) => name === 'build')
  const final = stages.at(-1)
  const source = join(folder, 'src')
  mkdirSync(source)
  for (const instruction of build?.instructions ?? []) {
    if (instruction.name === 'COPY' && instruction.flags.from === undefined) {
      copy(instruction, source, tracked)
    }
    if (instruction.name === 'RUN') await run(instruction, source, folder, full)
  }
  // In the image they lie at the root: `COPY --from=build /out/app ./`.
  const at = (path: string) => path.replace(/^\/(app|data)\b/, join(folder, 'out', '$1'))
  const [env] = instructions(final, 'ENV')
  const argsOf = (name: string) => instructions(final, name)[0]?.args ?? []
  return {
    at,
    env: Object.fromEntries((env?.args ?? []).map(pair => pair.split('=').map(at))),
    entrypoint: argsOf('ENTRYPOINT').map(at),
    healthcheck: argsOf('HEALTHCHECK').map(at),
  }
}

function copy({ args }: Instruction, source: string, tracked: string[]): void {
  const to = args.at(-1) ?? ''
  for (const from of args.slice(0, -1)) {
    for (const path of tracked) {
      const inside = path.startsWith(`${from}/`)
      if (path !== from && !inside) continue
      const target = inside
        ? join(source, to, path.slice(from.length))
        : join(source, to, basename(from))
      mkdirSync(dirname(target), { recursive: true })
      cpSync(join(root, path), target)
    }
  }
}

async function run(
  { args }: Instruction,
  source: string,
  folder: string,
  full: boolean,
): Promise<void> {
  const [script = '', ...rest] = args
  if (script === PACKAGES) return
  const shortcut = slowSteps[script]
  if (shortcut !== undefined && !full) {
    shortcut(source)
    return
  }
  const moved = rest.map(word => (word === '/out' ? join(folder, 'out') : word))
  await promisify(execFile)(join(source, script), moved, { cwd: source })
}
