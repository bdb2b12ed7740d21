/** A chat's id is the number of a person, the id of one who hides it (`DE.134…`), or the id of a group. */
export function addressOf(chatId: string): Record<string, string> {
  if (/^\d{5,20}$/.test(chatId)) return { recipient_type: 'individual', to: chatId }
  if (/^[A-Z]{2}\.\w+$/.test(chatId)) return { recipient_type: 'individual', recipient: chatId }
  return { recipient_type: 'group', to: chatId }
}

export const isGroup = (chatId: string): boolean => addressOf(chatId).recipient_type === 'group'
