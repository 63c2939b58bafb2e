"""Hides the first sheet, "Notes": LibreOffice shows the sheet that is active when it opens a file without a window.

    python3 hide.py made-by-libreoffice/people.xlsx people.xlsx
    python3 hide.py made-by-libreoffice/people.xls people.xls
"""
import sys
import zipfile

old, new = sys.argv[1:]
if old.endswith(".xls"):
    with open(old, "rb") as source, open(new, "wb") as target:
        # The BOUNDSHEET record: state, type, length and kind of characters, name.
        before, after = source.read().split(b"\0\0\5\0Notes")
        target.write(before + b"\1\0\5\0Notes" + after)
else:
    with zipfile.ZipFile(old) as source, zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "xl/workbook.xml":
                data = data.replace(b'state="visible"', b'state="hidden"', 1).replace(b'activeTab="0"', b'activeTab="1"')
            target.writestr(name, data)
