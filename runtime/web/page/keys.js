// Keys of the page; see `runtime/keys.py` for those that it shares with the window.
export class Keys {
  constructor(find, parts) { Object.assign(this, { find, parts }); }
}
