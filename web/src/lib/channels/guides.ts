import { SLACK_MANIFEST } from './slack-manifest.ts'

/** Where a bot of a platform comes from: what is done there before anything can be entered here. */
export type Guide = {
  steps: string[]
  link?: { href: string; label: string }
  /** What is pasted there. */
  paste?: { text: string; label: string }
}

/** By the id of the plugin; others explain themselves at their fields. */
export const GUIDES: Record<string, Guide> = {
  telegram: {
    steps: [
      'In Telegram, write /newbot to @BotFather, and answer what it asks.',
      'It gives you a token like 123456:ABC…: copy it here.',
      'To let the bot hear everything that groups say, turn its privacy off there (/setprivacy) before you add it.',
    ],
    link: { href: 'https://t.me/BotFather', label: 'Open @BotFather' },
  },
  discord: {
    steps: [
      'In the developer portal make an application. On its page Bot, turn on Message Content Intent, press Reset Token, and copy the token here.',
      'On its page OAuth2 tick bot and applications.commands, and of the permissions View Channels, Send Messages, Send Messages in Threads, Read Message History and Attach Files.',
      'Open the address that comes out there, and choose your server.',
    ],
    link: { href: 'https://discord.com/developers/applications', label: 'Open the developer portal' },
  },
  slack: {
    steps: [
      'Press Create New App, From a manifest, choose the workspace, and paste the manifest that you copy below.',
      'On the page Basic Information, under App-Level Tokens, generate a token with the scope connections:write. It begins with xapp-: the app token.',
      'On the page Install App press Install to Workspace. What begins with xoxb- is the bot token.',
      'Later, call it into a channel with /invite @gatehouse.',
    ],
    link: { href: 'https://api.slack.com/apps', label: 'Open your Slack apps' },
    paste: { text: SLACK_MANIFEST, label: 'Copy the manifest' },
  },
  whatsapp: {
    steps: [
      'Meta sends messages to an address on the internet: Gatehouse has to be reachable by https, and server.public_url in the configuration says where.',
      'Make an app of the type Business and add the product WhatsApp. It comes with a test number.',
      'In the business settings make a system user with the app and the WhatsApp account, and a token for it that never expires, with whatsapp_business_messaging.',
      'The phone number ID is on the page API Setup (it is not the number); the app secret under App settings, Basic; the verify token is a word of your own.',
      'Once it is connected, it tells its address here: enter that and the verify token under WhatsApp, Configuration, and subscribe to messages.',
    ],
    link: { href: 'https://developers.facebook.com/apps', label: 'Open your Meta apps' },
  },
  matrix: {
    steps: [
      'Make an account for the agent on any homeserver, and log in once.',
      'Copy its access token here (in Element: Settings, Help & About, Advanced).',
      'Close that window without logging out, or the token ends.',
    ],
  },
  email: {
    steps: [
      'Make a mailbox for the agent.',
      'Where the provider has app passwords (Gmail, Fastmail, iCloud), make one and enter it here.',
      'Look up its servers for IMAP and SMTP; the usual ports are set.',
    ],
  },
  irc: {
    steps: [
      'Choose a network and a nick.',
      'Register the nick there where that is possible: /msg NickServ REGISTER password address.',
      'Enter the channels that it joins; it answers there when somebody names it.',
    ],
  },
  webhook: {
    steps: [
      'Make a secret of at least 24 characters, such as by openssl rand -base64 32, for both sides.',
      'Enter the address to which answers are posted, and the port on which your program posts here.',
    ],
    link: { href: 'https://www.standardwebhooks.com', label: 'How both are signed' },
  },
}
