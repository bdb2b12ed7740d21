/** What makes a Slack app a bot of ours, as the README of its plugin has it; pasted where the app is made. */
export const SLACK_MANIFEST: string = JSON.stringify(
  {
    display_information: { name: 'Gatehouse' },
    features: {
      app_home: { home_tab_enabled: false, messages_tab_enabled: true, messages_tab_read_only_enabled: false },
      bot_user: { display_name: 'gatehouse', always_online: true },
      slash_commands: [
        {
          command: '/gatehouse',
          description: 'Ask the agent, or status, new, stop, help',
          usage_hint: 'status',
          should_escape: true,
        },
      ],
    },
    oauth_config: {
      scopes: {
        bot: [
          'app_mentions:read',
          'channels:history',
          'channels:read',
          'chat:write',
          'commands',
          'files:read',
          'files:write',
          'groups:history',
          'groups:read',
          'im:history',
          'im:read',
          'im:write',
          'metadata.message:read',
          'mpim:history',
          'mpim:read',
          'reactions:write',
          'users:read',
        ],
      },
    },
    settings: {
      event_subscriptions: {
        bot_events: [
          'app_mention',
          'app_uninstalled',
          'member_joined_channel',
          'message.channels',
          'message.groups',
          'message.im',
          'message.mpim',
          'user_change',
        ],
      },
      interactivity: { is_enabled: true },
      socket_mode_enabled: true,
      token_rotation_enabled: false,
    },
  },
  null,
  2,
)
