// Keys, and nothing else: every page works without.
'use strict';
(() => {
  const OFF = 'apiece-keys-off';
  const dialog = document.getElementById('keys');
  const open = document.getElementById('keys-open');
  const on = document.getElementById('keys-on');
  if (!open) return;

  const keys = new Map();
  for (const element of document.querySelectorAll('main [data-keys], header [data-keys]')) {
    for (const key of element.dataset.keys.split(' ')) keys.set(key, element);
  }
  document.querySelectorAll('.tabs a').forEach((tab, nth) => keys.set(String(nth + 1), tab));

  on.checked = sessionStorage.getItem(OFF) === null;
  on.addEventListener('change', () => {
    if (on.checked) sessionStorage.removeItem(OFF);
    else sessionStorage.setItem(OFF, '1');
  });
  open.hidden = false;
  open.addEventListener('click', () => dialog.showModal());

  document.addEventListener('keydown', event => {
    const typing = event.target.closest('input, textarea, select, [contenteditable]');
    if (!on.checked || typing || dialog.open || event.ctrlKey || event.metaKey || event.altKey) return;
    // Arrows scroll what can be scrolled sideways.
    if (event.key.startsWith('Arrow') && event.target.closest('pre, .scroll')) return;
    if (event.key === '?') {
      dialog.showModal();
    } else if (keys.has(event.key)) {
      const element = keys.get(event.key);
      if (element.matches('input')) {
        element.focus();
        element.select();
      } else {
        element.click();
      }
    } else {
      return;
    }
    event.preventDefault();
  });
})();
