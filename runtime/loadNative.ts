import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { NativeBinding } from './native.ts'

/** Where `npm run build` puts the addon, for a source checkout and for a package built from source. */
const addonPath = fileURLToPath(new URL('../build/native/mistralrs.node', import.meta.url))

let binding: NativeBinding | undefined

/**
 * The native addon, opened once per thread.
 * @throws Error when it has not been built or cannot be opened; the message says what to do
 */
export function loadNative(): NativeBinding {
  if (binding) return binding
  if (!existsSync(addonPath)) {
    throw new Error(`The native addon is missing (${addonPath}): run \`npm run build\``)
  }
  try {
    binding = createRequire(import.meta.url)(addonPath) as NativeBinding
  } catch (cause) {
    throw new Error(`${addonPath} cannot be opened: run \`npm run build\` again`, { cause })
  }
  return binding
}
