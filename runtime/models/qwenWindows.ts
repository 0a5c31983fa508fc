import { z } from 'zod'
import { count, flag, type RawConfig } from '../config/rawConfig.ts'
import { layerWindows, maxLayers } from './decoderConfig.ts'

const schema = z.object({
  use_sliding_window: flag().default(false),
  max_window_layers: count(maxLayers, 0).default(28),
})

/** Windows of Qwen 2 and 3: only with `use_sliding_window`, and then in layers from `max_window_layers` on. */
export function qwenWindows(raw: RawConfig, numLayers: number): (number | undefined)[] {
  const { use_sliding_window, max_window_layers } = raw.parse(schema)
  if (!use_sliding_window) return new Array<undefined>(numLayers).fill(undefined)
  return layerWindows(raw, numLayers, layer => layer >= max_window_layers, 4096)
}
