// A token that was let in is not seen here: the server goes on to the page. A wrong one is taken out of the address.
if (new URLSearchParams(location.search).has("token")) {
  document.getElementById("wrong").hidden = false;
  history.replaceState(null, "", "/");
}
