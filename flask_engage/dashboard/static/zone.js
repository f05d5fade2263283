// Times are told in the zone of whoever reads them. The server learns it by a cookie; a page that
// was made without it comes again, once.
export function setUpZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const { zone: shown, cookiePath } = document.body.dataset;
  if (!zone || kept() === zone) return;
  document.cookie = `engage_zone=${zone}; path=${cookiePath}; max-age=31536000; samesite=lax`;
  if (shown && shown !== zone && kept() === zone) location.reload();
}

function kept() {
  const found = document.cookie.split("; ").find((one) => one.startsWith("engage_zone="));
  return found && found.slice("engage_zone=".length);
}
