# Keeps a message, and on top of it who the recipients of the transaction were.
file=$(mktemp @ROOT@/mail/tmp/XXXXXXXX)
{ echo "X-Envelope-To: $*"; cat; } >"$file"
mv "$file" @ROOT@/mail/new/
