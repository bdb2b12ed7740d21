import Activity from '@lucide/svelte/icons/activity'
import Boxes from '@lucide/svelte/icons/boxes'
import KeyRound from '@lucide/svelte/icons/key-round'
import MessagesSquare from '@lucide/svelte/icons/messages-square'
import Plug from '@lucide/svelte/icons/plug'
import Puzzle from '@lucide/svelte/icons/puzzle'
import Radio from '@lucide/svelte/icons/radio'
import ScrollText from '@lucide/svelte/icons/scroll-text'
import ShieldCheck from '@lucide/svelte/icons/shield-check'
import SlidersHorizontal from '@lucide/svelte/icons/sliders-horizontal'
import Wrench from '@lucide/svelte/icons/wrench'
import { routes } from '$app/manifest'
import type { Component } from 'svelte'
import { paths } from '../paths.ts'

export type NavItem = {
  label: string
  href: string
  icon: Component<{ class?: string }>
  /** The second key after `g` that opens it. */
  key: string
  /** Other words that find it in the palette. */
  words: string[]
  /** Shows how many calls, or strangers on chat platforms, wait for a yes. */
  counts?: 'approvals' | 'pairings'
}

export type NavGroup = { label: string; items: NavItem[] }

const GROUPS: NavGroup[] = [
  {
    label: 'Agent',
    items: [{
      label: 'Chat',
      href: paths.chat(),
      icon: MessagesSquare,
      key: 'c',
      words: ['conversations', 'sessions', 'messages'],
    }, {
      label: 'Approvals',
      href: paths.approvals(),
      icon: ShieldCheck,
      key: 'a',
      words: ['inbox', 'questions', 'rules', 'policy', 'allow', 'deny', 'audit'],
      counts: 'approvals',
    }, {
      label: 'Channels',
      href: paths.channels(),
      icon: Radio,
      key: 'h',
      words: [
        'telegram',
        'slack',
        'discord',
        'whatsapp',
        'irc',
        'matrix',
        'email',
        'bots',
        'pairing',
        'outbox',
        'routing',
      ],
      counts: 'pairings',
    }, {
      label: 'Tools',
      href: paths.tools(),
      icon: Wrench,
      key: 't',
      words: ['functions', 'schema', 'try', 'capabilities'],
    }, {
      label: 'MCP servers',
      href: paths.mcp(),
      icon: Plug,
      key: 'x',
      words: ['tools', 'connect', 'marketplace', 'claude', 'cursor', 'registry'],
    }, {
      label: 'Plugins',
      href: paths.plugins(),
      icon: Puzzle,
      key: 'p',
      words: ['extensions', 'install', 'npm', 'permissions', 'quarantine', 'processes'],
    }],
  },
  {
    label: 'Server',
    items: [
      { label: 'Logs', href: paths.logs(), icon: ScrollText, key: 'l', words: ['errors', 'events', 'tail'] },
      {
        label: 'System',
        href: paths.system(),
        icon: Activity,
        key: 's',
        words: ['cpu', 'memory', 'disk', 'processes', 'restart', 'health'],
      },
    ],
  },
  {
    label: 'Settings',
    items: [
      {
        label: 'Models',
        href: paths.models(),
        icon: Boxes,
        key: 'm',
        words: ['providers', 'openai', 'anthropic', 'ollama', 'llm'],
      },
      {
        label: 'Configuration',
        href: paths.config(),
        icon: SlidersHorizontal,
        key: 'o',
        words: ['yaml', 'settings', 'options'],
      },
      {
        label: 'Keys & browsers',
        href: paths.keys(),
        icon: KeyRound,
        key: 'k',
        words: ['api keys', 'tokens', 'devices', 'pair', 'audit', 'sign out'],
      },
    ],
  },
]

/** Routes of this build; a link is offered only where there is a page. */
const PAGES = new Set<string>(
  routes.filter(({ page }) => page).map(({ id }) => id.replace(/\/\[\[[^/]+\]\]$/, '')),
)

/** The navigation, in the order in which it is drawn. */
export const NAVIGATION: NavGroup[] = GROUPS
  .map((group) => ({ ...group, items: group.items.filter((item) => PAGES.has(item.href)) }))
  .filter((group) => group.items.length > 0)

/** Whether `pathname` lies at or below an item. */
export const isAt = (item: NavItem, pathname: string): boolean =>
  pathname === item.href || pathname.startsWith(`${item.href}/`)
