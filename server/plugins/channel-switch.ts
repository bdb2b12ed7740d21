import type { Caller } from '../auth/principal.ts'
import type { ConfigService } from '../config/service.ts'
import { AppError } from '../errors.ts'

/** The part of the configuration by which what it names is switched. */
export type ConfigFile = Pick<ConfigService, 'reload' | 'current' | 'file' | 'etag' | 'patchSection'>

/** Switches what `gatehouse.yaml` names, for there alone it is decided. Throws `conflict` where that can't be done. */
export async function switchChannel(config: ConfigFile, caller: Caller, name: string, enabled: boolean): Promise<void> {
  const isSwitched = (): boolean => {
    const { channels, gateways } = config.current()
    const settings = channels[name] ?? gateways?.external?.find((gateway) => gateway.name === name)
    return (settings?.enabled !== false) === enabled
  }
  await config.reload()
  if (isSwitched()) return
  const { channels = {} } = config.file(caller) as { channels?: Record<string, object> }
  if (!channels[name] && !config.current().channels[name]) {
    // A section of this name would stand in its place, without its command.
    throw new AppError(
      'conflict',
      `${name} is named under gateways.external of gatehouse.yaml. Move it to channels, then switch it.`,
    )
  }
  const changed = { ...channels, [name]: { ...channels[name], enabled } }
  await config.patchSection(caller, 'channels', changed, config.etag())
  if (isSwitched()) return
  throw new AppError('conflict', `channels.${name}.enabled is set by a variable of the environment; change it there`)
}
