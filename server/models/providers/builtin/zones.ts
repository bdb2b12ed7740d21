/** Places that people name and that no zone is named after. */
const PLACES: Record<string, string> = {
  'UTC': 'utc, gmt, zulu',
  'Europe/London': 'greenwich, uk, united kingdom, england, britain, scotland, wales, edinburgh, manchester',
  'Europe/Dublin': 'ireland',
  'Europe/Berlin': 'germany, munich, hamburg, frankfurt, cologne',
  'Europe/Paris': 'france, lyon',
  'Europe/Madrid': 'spain, barcelona',
  'Europe/Rome': 'italy, milan',
  'Europe/Zurich': 'switzerland, geneva',
  'Europe/Vienna': 'austria',
  'Europe/Warsaw': 'poland',
  'Europe/Amsterdam': 'netherlands',
  'Europe/Brussels': 'belgium',
  'Europe/Lisbon': 'portugal',
  'Europe/Stockholm': 'sweden',
  'Europe/Oslo': 'norway',
  'Europe/Copenhagen': 'denmark',
  'Europe/Helsinki': 'finland',
  'Europe/Athens': 'greece',
  'Europe/Istanbul': 'turkey, ankara',
  'Europe/Kiev': 'ukraine, kyiv',
  'Asia/Tokyo': 'japan, osaka, kyoto',
  'Asia/Seoul': 'korea, south korea',
  'Asia/Shanghai': 'china, beijing, shenzhen',
  'Asia/Kolkata': 'india, mumbai, delhi, new delhi, bangalore, kolkata, chennai',
  'Asia/Saigon': 'vietnam, hanoi, ho chi minh city',
  'Asia/Katmandu': 'nepal, kathmandu',
  'Asia/Bangkok': 'thailand',
  'Asia/Manila': 'philippines',
  'Asia/Jerusalem': 'israel, tel aviv',
  'Asia/Dubai': 'uae, abu dhabi',
  'Africa/Cairo': 'egypt',
  'Africa/Johannesburg': 'south africa, cape town',
  'Africa/Nairobi': 'kenya',
  'Africa/Lagos': 'nigeria',
  'America/New_York': 'nyc, boston, miami, washington, philadelphia, atlanta, florida',
  'America/Chicago': 'houston, dallas, austin, texas',
  'America/Los_Angeles': 'san francisco, sf, seattle, la, san diego, las vegas, california',
  'America/Toronto': 'montreal, ottawa',
  'America/Mexico_City': 'mexico',
  'America/Sao_Paulo': 'brazil, rio, rio de janeiro',
  'America/Argentina/Buenos_Aires': 'buenos aires, argentina',
  'Pacific/Honolulu': 'hawaii',
  'Pacific/Auckland': 'new zealand, wellington',
  'Australia/Sydney': 'canberra',
}

const ZONES = new Map(
  Object.entries(PLACES).flatMap(([zone, places]) => places.split(', ').map((place) => [place, zone])),
)

/** The IANA zone of a city, country or zone name; undefined when it is not known here. */
export function zoneOf(place: string): string | undefined {
  const name = place.toLowerCase().normalize('NFKD').replace(/\p{M}/gu, '').replace(/^the /, '').replaceAll('_', ' ')
  return ZONES.get(name) ?? Intl.supportedValuesOf('timeZone').find((zone) => {
    const spelled = zone.toLowerCase().replaceAll('_', ' ')
    return spelled === name || spelled.slice(spelled.lastIndexOf('/') + 1) === name
  })
}
