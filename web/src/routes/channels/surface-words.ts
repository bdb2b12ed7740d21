import type { PluginSurface } from '$shared/plugins.ts'

/** What a plugin may do, a line each, in plain words. */
export function surfaceWords({ permissions, tools, capabilities, secrets }: PluginSurface): string[] {
  const { net, read, write, run, env } = permissions
  return [
    net.includes('*')
      ? 'May reach any address on the network'
      : net.length > 0
      ? `May reach ${net.join(', ')}`
      : 'May reach nothing on the network',
    read.length > 0 ? `May read ${read.join(', ')}` : 'May read no files but its own',
    write.length > 0 ? `May write ${write.join(', ')}` : 'May write no files',
    run.length > 0 ? `May start ${run.join(', ')}` : 'May start no programs',
    ...(env.length > 0 ? [`Is given the variables ${env.join(', ')}`] : []),
    ...(secrets.length > 0 ? [`Is given the secrets ${secrets.join(', ')}`] : []),
    ...(tools.length > 0 ? [`Gives the agent the tools ${tools.join(', ')}`] : []),
    ...(capabilities.length > 0 ? [`Also adds: ${capabilities.join(', ')}`] : []),
  ]
}
